"""Images that are built again after one flow changed."""

from __future__ import annotations

import os
import subprocess
import tempfile

from loop import serve


class Flowhold:
    name = "flowhold"

    def __init__(self, settings) -> None:
        self.base = settings["base"]

    def storage(self, number):
        from flowhold import Flow, task
        from flowhold_storage_docker import Docker

        def value():
            return number

        with Flow("etl") as flow:
            task(value)()
        made = Docker(base_image=self.base, local_image=True, image_name=self.name)
        made.add_flow(flow)
        return made

    def measures(self, round_name):
        yield "rebuild", lambda: self.storage(round_name).build()


class Command(Flowhold):
    """The command line, with a context that Flowhold wrote for another flow."""

    def measures(self, round_name):
        with tempfile.TemporaryDirectory() as folder:
            self.storage(f"command {round_name}").create_dockerfile_object(folder)
            command = ["docker", "build", "--quiet", "--tag", f"command:{round_name}", folder]
            options = {"env": {**os.environ, "DOCKER_BUILDKIT": "0"}, "capture_output": True}
            yield "rebuild", lambda: subprocess.run(command, check=True, **options)


class Prefect1:
    def __init__(self, settings) -> None:
        self.base = settings["base"]

    def measures(self, round_name):
        from prefect import Flow, task
        from prefect.storage import Docker

        @task
        def value():
            return round_name

        with Flow("etl") as flow:
            value()

        def build():
            storage = Docker(base_image=self.base, local_image=True, image_name="prefect")
            storage.add_flow(flow)
            storage.build(push=False)

        yield "rebuild", build


if __name__ == "__main__":
    serve(Flowhold, Command, Prefect1)
