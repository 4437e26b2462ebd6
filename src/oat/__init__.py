"""oat, the OpenStack application tutorial: a small distributed program that renders Julia sets."""
