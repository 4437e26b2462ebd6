"""The services of the cloud, one a file: what each is for, its configuration, its tables, its processes."""
