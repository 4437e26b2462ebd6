"""Runs the chapters of docs/tutorial as a reader would, and compares what comes with what they show."""
