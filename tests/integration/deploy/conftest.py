"""With a Docker engine the compose file is started for real; without one there is nothing to start."""

import shutil
import subprocess

from shared.testing.servers import use_containers


def has_compose() -> bool:
    """Whether `docker compose` is there."""
    if not use_containers() or shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


collect_ignore = [] if has_compose() else ["test_compose.py"]
