"""The Kubernetes and KEDA manifests are valid. Nothing here runs them."""

import pytest

from helpers.validators import DEPLOY, documents

MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_the_kubernetes_manifests_are_valid(path):
    import kubernetes_validate  # noqa: PLC0415 (only here)
    from cloudcoil.models.keda import v1alpha1 as keda  # noqa: PLC0415 (only here)

    for document in documents(path):
        if document["apiVersion"].startswith("keda.sh/"):
            model = getattr(keda, document["kind"])
            kept = model.model_validate(document).model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
            assert kept == document, "a field that KEDA does not know"
        elif document["kind"] == "Kustomization":
            assert {MANIFESTS[0].parent / name for name in document["resources"]} == set(MANIFESTS) - {path}
        else:
            kubernetes_validate.validate(document, "1.33", strict=True)


def test_references_between_the_manifests():
    found = {(document["kind"], document["metadata"]["name"]): document
             for path in MANIFESTS for document in documents(path) if "metadata" in document}  # fmt: skip
    [trigger] = found["ScaledObject", "worker"]["spec"]["triggers"]
    authentication = found["TriggerAuthentication", trigger["authenticationRef"]["name"]]
    assert found["Deployment", found["ScaledObject", "worker"]["spec"]["scaleTargetRef"]["name"]]
    for reference in authentication["spec"]["secretTargetRef"]:
        assert reference["key"] in found["Secret", reference["name"]]["stringData"]
    deployments = {name: document for (kind, name), document in found.items() if kind == "Deployment"}
    assert deployments.keys() == {"producer", "tracker", "web", "worker"}
    for name, document in deployments.items():
        template = document["spec"]["template"]
        assert template["metadata"]["labels"] == document["spec"]["selector"]["matchLabels"] == {"app": name}
        [container] = template["spec"]["containers"]
        for source in container["envFrom"]:
            assert ("Secret", source["secretRef"]["name"]) in found
