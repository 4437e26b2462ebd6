# The private OpenStack; see cloud/README.md.

cloud: ## bring up a private OpenStack on this machine (Debian 12 or 13, root; some minutes the first time; RELEASE=2026.1 for the one before)
	@OAT_CLOUD_RELEASE=$(filter 20%,$(RELEASE)) /usr/bin/python3 -m cloud up

cloud-image: ## make the image oat, with the application in it, and put it into the cloud
	@/usr/bin/python3 -m cloud image

cloud-status: ## tell what runs of the cloud
	@/usr/bin/python3 -m cloud status

cloud-down: ## end the cloud, and take back its bridges, namespaces, addresses and mounts
	@/usr/bin/python3 -m cloud down

test-openstack: .venv/develop ## run oat on the private cloud, and test it there (Debian 12 or 13, root; 25 minutes)
	@tests/openstack/run

cloud-tutorial: .venv/develop ## run the chapters of the tutorial in the cloud, from `make cloud` on, and compare (root; half an hour)
	@/usr/bin/python3 -m cloud up --image
	@PYTHONPATH=tests exec setpriv --pdeathsig TERM .venv/bin/python -m tutorial.update --compare cloud

cloud-lock: .venv/develop ## pin the versions of OpenStack
	.venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  requirements-cloud.in -o requirements-cloud.txt
	.venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	  --exclude-newer 2026-04-20 --exclude-newer-package gunicorn=2026-12-01 \
	  requirements-cloud.in --override requirements-cloud-2026.1.in -o requirements-cloud-2026.1.txt

.PHONY: cloud cloud-image cloud-status cloud-down test-openstack cloud-tutorial cloud-lock
