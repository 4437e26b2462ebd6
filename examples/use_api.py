"""The API from a script: creates three fractals, waits for them, downloads them: `python examples/use_api.py`.

OAT_API_URL is the address of `oat web` or `oat run --port`; OAT_API_TOKEN is its token, if it has one.
"""

import os
import time
from pathlib import Path

import httpx

URL = os.environ.get("OAT_API_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("OAT_API_TOKEN")

with httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}) as api:
    response = api.post("/v1/fractals", json={"count": 3, "width": 320, "height": 240})  # the rest at random
    response.raise_for_status()
    for fractal in response.json()["fractals"]:
        path = f"/v1/fractals/{fractal['uuid']}"
        while fractal["status"] == "waiting":
            time.sleep(0.5)
            fractal = api.get(path).raise_for_status().json()  # noqa: PLW2901 (the same one, newer)
        if fractal["status"] == "failed":
            print(fractal["uuid"], "failed:", fractal["error"])
            continue
        file = Path(f"{fractal['uuid']}.png")
        file.write_bytes(api.get(f"{path}/image").raise_for_status().content)
        print(f"{file}: {fractal['size']} bytes, rendered in {fractal['duration']:.3f} seconds")
