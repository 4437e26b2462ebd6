#!/usr/bin/env bash
# The gallery alone as a service of the system. May be run again at any time.
set -euo pipefail
/vagrant/provision/unit oat-web.service
