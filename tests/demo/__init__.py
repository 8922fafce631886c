"""The main job from end to end, told as a story: `make demo`."""
