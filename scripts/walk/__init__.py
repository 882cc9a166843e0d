"""The walkthrough: the lecture's examples and exercises, in every format."""
