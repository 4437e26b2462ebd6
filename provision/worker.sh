#!/usr/bin/env bash
# One worker as a service of the system, with a thread a core. May be run again at any time.
set -euo pipefail
/vagrant/provision/unit oat-worker@.service oat-worker@1.service
