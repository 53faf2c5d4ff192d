"""Text in and out: the tokenizer of the Thinker, and text made ready to be spoken."""
