FROM python:3-slim
COPY [".flowhold-image/wheels/", "/srv/it\\'s \\$HOME/wheels/"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--force-reinstall", "--", "/srv/it's $HOME/wheels/flowhold-{version}-py3-none-any.whl", "/srv/it's $HOME/wheels/flowhold_storage_docker-{version}-py3-none-any.whl"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--", "/srv/it's $HOME/wheels/flowhold-{version}-py3-none-any.whl"]
COPY [".flowhold-image/flows/", "/srv/it\\'s \\$HOME/flows/"]
LABEL org.opencontainers.image.title="etl"
LABEL flowhold.version="{version}"
LABEL flowhold.flows="[\"etl\"]"
RUN ["python", "-B", "-m", "flowhold_storage_docker.healthcheck", "/srv/it's $HOME/flows", "{python}"]
