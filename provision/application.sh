#!/usr/bin/env bash
# The application: its virtual environment in /vagrant/.venv, and the addresses of the servers in the environment
# of whoever logs in. May be run again at any time.
#
# application.sh SERVICE [TARGET]: the machine of the servers, and where the images go if not to a folder.
# In the environment: OAT_PASSWORD, of the servers' users; OAT_API_TOKEN; OAT_PUBLIC_READING; AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and
# AWS_SECRET_ACCESS_KEY of another object store than the one of store.sh; OAT_PROVISION, for images of machines:
# "install" installs only, "configure" does the rest, without a network.
set -euo pipefail
service=${1:-} target=${2:-} password=${OAT_PASSWORD:-secretsecret} part=${OAT_PROVISION:-all}
export DEBIAN_FRONTEND=noninteractive

install_all() {
  apt-get update -qq
  apt-get install -qq --no-install-recommends python3 python3-pip virtualenv tmux curl make >/dev/null
  cd /vagrant
  # Not sudo: from a terminal it wants another one, which an image that is being made cannot give.
  runuser -u vagrant -- env -i HOME=/home/vagrant PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 bash -euc '
    [ -x .venv/bin/pip ] || virtualenv -q .venv
    source .venv/bin/activate
    pip install -q -r requirements.txt
    pip install -q .
  '
  ln -sfn /vagrant/.venv /opt/oat
  ln -sfn /vagrant/provision/oat-windows /usr/local/bin/oat-windows
}

[ "$part" = configure ] || install_all
[ "$part" != install ] || exit 0

install -d /etc/oat
install -m 640 -g vagrant /dev/stdin /etc/oat/environment <<END
OAT_BROKER_URL=amqp://guest:$password@$service:5672/
OAT_DATABASE_URL=mysql+pymysql://tutorial:$password@$service/tutorial
OAT_HOST=0.0.0.0
OAT_API_TOKEN=${OAT_API_TOKEN:-$password}
OAT_PUBLIC_READING=${OAT_PUBLIC_READING:-false}
END
if [ -n "$target" ]; then
  cat >>/etc/oat/environment <<END
OAT_TARGET=$target
AWS_ENDPOINT_URL=${AWS_ENDPOINT_URL:-http://$service:8333}
AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-tutorial}
AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-secretsecret}
END
fi
echo 'set -a; . /etc/oat/environment; set +a' >/etc/profile.d/oat.sh
