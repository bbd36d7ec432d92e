# CPU:  docker build -t spikecli .
# CUDA: docker build -t spikecli:cuda --build-arg TORCH=cu130 .        run with --gpus all
# Then: docker run --rm -v "$PWD:/data" spikecli predict chair.off
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN pip install --no-cache-dir build==1.6.1
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY spikecli spikecli
COPY checkpoints checkpoints
RUN python -m build --wheel --outdir /wheels

FROM python:3.11-slim-bookworm
ARG TORCH=cpu
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgomp1 libusb-1.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /constraints.txt
RUN pip install --no-cache-dir -c /constraints.txt torch torchvision \
    --index-url "https://download.pytorch.org/whl/${TORCH}"
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir -c /constraints.txt "$(ls /wheels/*.whl)[clip,events,train,video,view]" && rm -rf /wheels
RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /data
ENTRYPOINT ["spikecli"]
CMD ["--help"]
