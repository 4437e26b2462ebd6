# The private OpenStack; see cloud/README.md.

cloud: ## bring up a private OpenStack on this machine (Debian 12 or 13, root; five minutes the first time)
	@/usr/bin/python3 -m cloud up

cloud-image: ## make the image oat, with the application in it, and put it into the cloud
	@/usr/bin/python3 -m cloud image

cloud-down: ## end it, and take back its bridges, namespaces and addresses
	@/usr/bin/python3 -m cloud down

cloud-status: ## tell what runs of it
	@/usr/bin/python3 -m cloud status

.PHONY: cloud cloud-down cloud-image cloud-status
