"""Pictures: loading, and the transform to the vision encoder's input."""
