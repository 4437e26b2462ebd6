"""A private OpenStack on one machine: its driver, and one short file per service in `services`."""
