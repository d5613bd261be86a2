# Python's version is the one that the tests run with.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN deploy/build.sh /opt/relabel

# What the image holds, as CycloneDX; on request: docker build --target sbom --output . .
FROM build AS sbom-maker
RUN deploy/sbom.sh /opt/relabel /relabel.cdx.json

FROM scratch AS sbom
COPY --from=sbom-maker /relabel.cdx.json /

FROM python:3.11.14-slim-bookworm
RUN groupadd --gid 10001 relabel \
    && useradd --uid 10001 --gid relabel --no-create-home --home-dir /var/lib/relabel --shell /usr/sbin/nologin relabel \
    && install --directory --owner relabel --group relabel /var/lib/relabel /inbox
COPY --from=build /opt/relabel /opt/relabel
COPY examples /opt/relabel/examples
ENV PATH=/opt/relabel/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RELABEL_WEB__ADDRESS=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/relabel
USER 10001:10001
CMD ["relabel", "--help"]
