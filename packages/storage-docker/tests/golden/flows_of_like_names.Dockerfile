FROM python:3-slim
COPY [".flowhold-image/wheels/", "/opt/flowhold/wheels/"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--force-reinstall", "--", "/opt/flowhold/wheels/flowhold-{version}-py3-none-any.whl", "/opt/flowhold/wheels/flowhold_storage_docker-{version}-py3-none-any.whl"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--", "/opt/flowhold/wheels/flowhold-{version}-py3-none-any.whl"]
COPY [".flowhold-image/flows/", "/opt/flowhold/flows/"]
LABEL org.opencontainers.image.title="A B, a-b, A_B, !!!, ???, 名前, x \"y\" \$z"
LABEL flowhold.version="{version}"
LABEL flowhold.flows="[\"A B\", \"a-b\", \"A_B\", \"!!!\", \"???\", \"\\u540d\\u524d\", \"x\\n\\\"y\\\" \$z\"]"
RUN ["python", "-B", "-m", "flowhold_storage_docker.healthcheck", "/opt/flowhold/flows", "{python}"]
