# odd=x
# escape=`
FROM python:3-slim
RUN echo a \
  # of a line that goes on
  b
ENV A="c:\"
COPY [".flowhold-image/wheels/", "/opt/flowhold/wheels/"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--force-reinstall", "--", "/opt/flowhold/wheels/flowhold-{version}-py3-none-any.whl", "/opt/flowhold/wheels/flowhold_storage_docker-{version}-py3-none-any.whl"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--", "/opt/flowhold/wheels/flowhold-{version}-py3-none-any.whl"]
COPY [".flowhold-image/flows/", "/opt/flowhold/flows/"]
LABEL org.opencontainers.image.title="etl"
LABEL flowhold.version="{version}"
LABEL flowhold.flows="[\"etl\"]"
RUN ["python", "-B", "-m", "flowhold_storage_docker.healthcheck", "/opt/flowhold/flows", "{python}"]
