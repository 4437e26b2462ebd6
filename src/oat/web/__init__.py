"""The gallery and the API."""
