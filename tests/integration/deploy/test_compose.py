"""`make up` for real, under another name and on other ports: built, started, and toured through the gateway."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio

from shared.ids import uuid7
from shared.processes import free_port
from tests.harness import Client, wait_for

DEPLOY = Path(__file__).parents[3] / "deploy"


class Compose:
    """One installation in containers."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._project = f"arpilot-test-{uuid7().hex[-8:]}"
        self._env_file = directory / ".env"
        self._environ = {
            **os.environ,
            "ARPILOT_IMAGE": f"{self._project}:latest",
            "ARPILOT_LISTEN": f"127.0.0.1:{self.port}",
            "ARPILOT_NOTIFIER_SMTP_URL": "smtp+insecure://gateway:8080",  # the mail catcher is not part of this
            "RABBITMQ_MANAGEMENT_LISTEN": f"127.0.0.1:{free_port()}",
        }
        shutil.copy(DEPLOY / "make-env.sh", directory)
        subprocess.run([directory / "make-env.sh"], check=True, capture_output=True)

    def __call__(self, *arguments: str) -> str:
        """Run `docker compose …`; fails with what it said."""
        files: list[str | Path] = [
            "--project-directory",
            DEPLOY,
            "-f",
            DEPLOY / "compose.yaml",
            "--env-file",
            self._env_file,
        ]
        command: list[str | Path] = ["docker", "compose", "-p", self._project, *files, *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + self._logs(arguments)
        return done.stdout.strip()

    def _logs(self, arguments: tuple[str, ...]) -> str:
        return "" if arguments[0] == "logs" else self("logs", "--tail", "30")

    def close(self) -> None:
        """Remove everything that was made."""
        self("down", "--volumes", "--rmi", "local", "--timeout", "5")


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    compose = Compose(tmp_path_factory.mktemp("compose"))
    try:
        compose("up", "--build", "--detach", "--wait", "gateway")
        yield compose
    finally:
        compose.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(compose: Compose) -> AsyncIterator[Client]:
    tenant = compose("run", "--rm", "tools", "tenant", "create", "--name", "Acme Inc.")
    key = compose("run", "--rm", "tools", "key", "create", "--tenant", tenant)
    async with aiohttp.ClientSession() as session:
        yield Client(f"http://127.0.0.1:{compose.port}", key, UUID(tenant), session)


async def test_the_tour_runs_through_the_gateway(client: Client) -> None:
    contact = {"contact_name": "Ada", "email": "ada@example.com"}
    customer = await client.post("/v1/customers", json={"company_name": "Engines", "contacts": [contact]})
    made = await client.post("/v1/invoices", json={"customer_id": customer.data["id"], "amount": 120.50})
    invoice = f"/v1/invoices/{made.data['id']}"
    recorded = await client.post(f"{invoice}/record-payment", json={"payment_method": "wire"})
    pdf = await client.post(f"{invoice}?action=generate_pdf")

    assert (recorded.status, pdf.data["pdf_source"]) == (201, "arpilot_generated")

    async def paid_and_announced() -> bool:
        events = (await client.get("/v1/events?limit=100")).json["data"]
        paid = (await client.get(invoice)).data["status"] == "paid"
        return paid and "invoice.paid" in {event["type"] for event in events}

    await wait_for(paid_and_announced)


async def test_a_service_that_dies_comes_back_by_itself(client: Client, compose: Compose) -> None:
    # from inside, as a crash is: Docker takes a kill from outside for the operator's wish
    compose("exec", "-T", "payments", "python", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")

    async def back() -> bool:
        return (await client.get("/v1/payments")).status == 200

    await wait_for(back)


def test_the_image_runs_as_nobody_in_particular_and_cannot_be_written_to(compose: Compose) -> None:
    assert compose("exec", "-T", "invoices", "id", "-u") == "10001"
    denied = compose("exec", "-T", "invoices", "sh", "-c", "touch /opt/arpilot/src/x 2>&1 || true")
    assert "Read-only file system" in denied


def test_the_doctor_is_content(compose: Compose) -> None:
    said = compose("run", "--rm", "tools", "doctor").splitlines()

    assert [line for line in said if not line.startswith("ok ")] == []


def test_the_books_are_right_in_the_end(compose: Compose) -> None:
    assert compose("run", "--rm", "tools", "ledger", "verify") == "The books are right."
