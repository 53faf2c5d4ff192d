"""The `muomni` command. Nothing here imports torch before a command needs a model."""
