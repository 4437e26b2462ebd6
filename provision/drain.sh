#!/usr/bin/env bash
# On a server of OpenStack that Heat may delete: what has the workers finish their images first. May be run again at any time.
set -euo pipefail
cat >/etc/systemd/system/drain.service <<'END'
[Unit]
Description=Drain the workers before Heat deletes this server

[Service]
ExecStart=/usr/bin/python3 -u /vagrant/provision/drain.py
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q drain
systemctl restart drain
