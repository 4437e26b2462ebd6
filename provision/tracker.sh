#!/usr/bin/env bash
# The tracker as a service of the system, and the gallery beside it. May be run again at any time.
set -euo pipefail
/vagrant/provision/unit oat-tracker.service
/vagrant/provision/unit oat-web.service
