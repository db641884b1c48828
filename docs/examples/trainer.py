"""Open rollouts, let sandboxes call, close them: the admin API from a trainer's machine.

Needs httpx and, in the environment:
  GATE_ADMIN_URL    such as https://gate.example:8766
  GATE_ADMIN_TOKEN  of `gatectl admin token add NAME --role provision`
  GATE_CA           who vouches for the gate's certificate, PEM; unset = this system's roots
"""

import os
import ssl
import uuid

import httpx


class Gate:
    def __init__(self, url: str, token: str, ca: str | None = None) -> None:
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=ca),
            timeout=30,
        )

    def ask(self, method: str, path: str, **more) -> dict:
        answer = self.http.request(method, path, **more)
        if answer.is_error:
            error = answer.json()["error"]
            raise RuntimeError(f"{error['message']} (hint: {error['hint']})")
        return answer.json()

    def open(self, client: str, sources: dict[str, str], ttl: int = 3600) -> list[dict]:
        """Opens a rollout for each id, bound to its sandbox's address, in one call."""
        rollouts = [
            {"rollout": rollout, "client": client, "sources": [source], "ttl_seconds": ttl}
            for rollout, source in sources.items()
        ]
        # Asked again with the same key, e.g. after a timeout, the gate gives the same tokens.
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self.ask("POST", "/v1/rollouts", json={"rollouts": rollouts}, headers=key)["rollouts"]

    def close(self, rollouts: list[str]) -> dict:
        """Ends tokens, running streams and kernel entries before it returns."""
        return self.ask("DELETE", "/v1/rollouts", json={"ids": rollouts})


def main() -> None:
    env = os.environ
    gate = Gate(env["GATE_ADMIN_URL"], env["GATE_ADMIN_TOKEN"], env.get("GATE_CA"))
    sources = {"demo-1": "10.0.0.5/32", "demo-2": "10.0.0.6/32"}
    opened = gate.open("trainer", sources)
    for rollout in opened:
        # What the sandbox needs and nothing more: base URLs and its token.
        print(rollout["rollout"], "opened until", rollout["expires_at"], *rollout["env"])
    closed = gate.close([rollout["rollout"] for rollout in opened])
    print("closed in", closed["elapsed_us"], "us, at revision", closed["revision"])


if __name__ == "__main__":
    main()
