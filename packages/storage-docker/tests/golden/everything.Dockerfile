# escape=`
FROM python:3-slim
RUN echo a `
  # of a line that goes on
  b
ENV A="c:\"
ENV PLAIN="value"
ENV EMPTY=""
ENV PYTHONPATH="${PYTHONPATH}:modules/"
ENV BRACES="${HOME}/x"
ENV DOLLARS="5`$ `$HOME `$(date) `${A:-b}"
ENV QUOTED="it's a `"quote`" \ ``tick``"
ENV UNICODE="名前 😀"
ENV SPACES="  a  # b  "
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--", "pandas[parquet,s3]<3,>=2", "tomli>=2; python_version < \"3.11\"", "own @ https://example.com/own-1.0-py3-none-any.whl", "it's<<odd"]
COPY [".flowhold-image/wheels/", "/srv/flow hold/wheels/"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--force-reinstall", "--", "/srv/flow hold/wheels/flowhold_storage_docker-{version}-py3-none-any.whl"]
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--", "flowhold==1.2.3"]
COPY [".flowhold-image/files/0/", "/data/"]
COPY [".flowhold-image/files/1/", "/data/"]
COPY [".flowhold-image/files/2/", "/tree/"]
COPY [".flowhold-image/files/3/", "relative/folder/"]
COPY [".flowhold-image/files/4/", "./"]
COPY [".flowhold-image/files/5/", "/with space/`$HOME/`\"quoted`\"/"]
COPY [".flowhold-image/flows/", "/srv/flow hold/flows/"]
COPY [".flowhold-image/placed/0/", "/app/"]
LABEL org.opencontainers.image.title="etl"
LABEL flowhold.version="{version}"
LABEL flowhold.flows="[`"etl`"]"
RUN echo a `
  b
USER app
RUN ["python", "-B", "-m", "flowhold_storage_docker.healthcheck", "/srv/flow hold/flows", "{python}"]
