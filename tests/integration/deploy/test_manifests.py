"""The files for Docker Compose and Kubernetes fit their schemas and each other."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from services import catalog
from shared.processes import StartError

DEPLOY = Path(__file__).parents[3] / "deploy"
OVERLAYS = ("dev", "production")
KUBERNETES = "1.32"
# Their schemas belong to operators and are not part of Kubernetes.
FOREIGN = ("postgresql.cnpg.io/", "rabbitmq.com/", "monitoring.coreos.com/")
Manifest = dict[str, Any]


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def render(overlay: str) -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    folder = DEPLOY / "kubernetes" / "overlays" / overlay
    if shutil.which("kubectl"):
        text = run("kubectl", "kustomize", folder)
    elif shutil.which("kustomize"):
        text = run("kustomize", "build", folder)
    else:
        raise StartError(
            "These tests need kustomize: `apt-get install kubernetes-client`, or `brew install kustomize`."
        )
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m["spec"]["template"]["spec"] for m in of_kind(manifests, "Deployment", "Job")}


def compose() -> Manifest:
    loaded = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("name", ["compose.yaml", "compose.tls.yaml"])
def test_the_compose_files_fit_the_specification(name: str) -> None:
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / name)


def test_every_service_has_a_container_that_runs_it() -> None:
    services = compose()["services"]

    assert {name: services[name]["command"] for name in catalog.NAMES} == {n: ["run", n] for n in catalog.NAMES}


def test_each_container_holds_the_database_password_of_its_own_role_alone() -> None:
    services = compose()["services"]

    for name in catalog.NAMES:
        held = [variable for variable in services[name]["environment"] if variable.endswith("DATABASE_URL")]
        assert held == [f"ARPILOT_{name.upper()}_DATABASE_URL"]


def test_no_secret_stands_in_the_compose_file() -> None:
    text = (DEPLOY / "compose.yaml").read_text()

    assert not re.search(r"(PASSWORD|PASS|KEY|KEYS): (?!\$\{)", text)
    assert not re.search(r"://[a-z_]+:(?!\$\{)[^/]*@", text)


def test_a_generated_env_file_gives_every_secret_that_is_asked_for(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "make-env.sh", tmp_path)
    run(tmp_path / "make-env.sh")
    first = (tmp_path / ".env").read_text()
    run(tmp_path / "make-env.sh")

    assert (tmp_path / ".env").read_text() == first
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    assert asked <= set(re.findall(r"^(\w+)=.{20,}$", first, re.MULTILINE))


def test_kubernetes_manifests_fit_the_schemas(manifests: list[Manifest]) -> None:
    own = [manifest for manifest in manifests if not manifest["apiVersion"].startswith(FOREIGN)]

    assert len(own) > 30
    for manifest in own:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_tools_pod_fits_the_schema() -> None:
    pod = yaml.safe_load((DEPLOY / "kubernetes/tools.yaml").read_text())

    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_every_service_is_deployed_watched_and_kept_running(manifests: list[Manifest]) -> None:
    names = {f"arpilot-{service}" for service in catalog.NAMES}

    for kind in ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"):
        assert names <= {manifest["metadata"]["name"] for manifest in of_kind(manifests, kind)}, kind


def test_scalers_budgets_and_services_select_just_their_own_pods(manifests: list[Manifest]) -> None:
    templates = {
        m["metadata"]["name"]: m["spec"]["template"]["metadata"]["labels"] for m in of_kind(manifests, "Deployment")
    }
    for manifest in of_kind(manifests, "Service", "PodDisruptionBudget"):
        selector = manifest["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        chosen = [name for name, labels in templates.items() if selector.items() <= labels.items()]
        assert chosen == [manifest["metadata"]["name"]]
    for manifest in of_kind(manifests, "HorizontalPodAutoscaler"):
        assert manifest["spec"]["scaleTargetRef"]["name"] == manifest["metadata"]["name"]


def test_no_pod_is_root_or_may_write_to_its_image(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        assert pod["securityContext"]["runAsNonRoot"], name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_each_pod_has_limits_and_services_have_probes(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        assert all("memory" in container["resources"]["limits"] for container in pod["containers"]), name
    for service in catalog.NAMES:
        container = pods(manifests)[f"arpilot-{service}"]["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_a_stop_is_given_more_time_than_it_takes(manifests: list[Manifest]) -> None:
    settings = next(m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["name"] == "arpilot-settings")["data"]
    needed = float(settings["ARPILOT_DRAIN_SECONDS"]) + float(settings["ARPILOT_SHUTDOWN_SECONDS"])

    for service in catalog.NAMES:
        assert pods(manifests)[f"arpilot-{service}"]["terminationGracePeriodSeconds"] > needed


def test_secrets_are_named_and_never_held(manifests: list[Manifest]) -> None:
    assert not of_kind(manifests, "Secret")


def test_the_generated_secrets_are_the_ones_that_are_named(manifests: list[Manifest]) -> None:
    made = {
        m["metadata"]["name"]: set(m["stringData"])
        for m in yaml.safe_load_all(run(DEPLOY / "kubernetes/make-secrets.sh"))
    }
    named = set(
        re.findall(
            r'"secretKeyRef": \{"key": "(\w+)", "name": "arpilot-databases"\}', json.dumps(manifests, sort_keys=True)
        )
    )

    assert made["arpilot-databases"] == named
    assert len(named) == len(catalog.NAMES)
    assert made["arpilot-keys"] == {"ARPILOT_SECRET_KEY", "ARPILOT_ENCRYPTION_KEYS"}


def test_the_broker_is_a_cluster_of_three_in_production() -> None:
    broker = of_kind(render("production"), "RabbitmqCluster")[0]

    assert broker["spec"]["replicas"] == 3
