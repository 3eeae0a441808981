# triptych on a CPU: `docker build -t triptych .`, then
# `docker run --rm -v "$PWD/runs:/home/triptych/runs" triptych train wgan-gp-8gaussians`
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 TRIPTYCH_CACHE=/home/triptych/cache
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY src /src/src
# TORCH_INDEX: the address that pytorch.org's selector names for the CPU build, a third of the size of the usual one
ARG TORCH_INDEX=
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0 \
 && pip install --no-cache-dir -c /src/constraints.txt /src \
 && useradd --create-home --uid 1000 triptych && mkdir -p /home/triptych/runs /home/triptych/cache && chown -R triptych /home/triptych
USER triptych
WORKDIR /home/triptych
ENTRYPOINT ["triptych"]
CMD ["--help"]
