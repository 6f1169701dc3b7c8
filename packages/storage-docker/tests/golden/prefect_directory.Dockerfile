FROM python:3-slim
COPY [".flowhold-image/wheels/", "/srv/old/wheels/"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--force-reinstall", "--", "/srv/old/wheels/flowhold-{version}-py3-none-any.whl", "/srv/old/wheels/flowhold_storage_docker-{version}-py3-none-any.whl"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--", "/srv/old/wheels/flowhold-{version}-py3-none-any.whl"]
COPY [".flowhold-image/flows/", "/srv/old/flows/"]
LABEL org.opencontainers.image.title="etl"
LABEL flowhold.version="{version}"
LABEL flowhold.flows="[\"etl\"]"
RUN ["python", "-B", "-m", "flowhold_storage_docker.healthcheck", "/srv/old/flows", "{python}"]
