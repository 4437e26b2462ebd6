#!/usr/bin/env bash
# The producer as a service of the system. May be run again at any time.
set -euo pipefail
/vagrant/provision/unit oat-producer.service
