"""What the command line and a Python user call: one thin file a task."""
