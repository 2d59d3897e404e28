# syntax=docker/dockerfile:1

# librdkafka and OpenSSL are built from source: gcc, g++, make and perl come with this image.
FROM rust:1-bookworm AS builder
WORKDIR /build

# Dependencies alone, as a layer that only a changed manifest or lock file rebuilds. The manifest is read
# without its test and bench targets, whose files are not there yet.
COPY Cargo.toml Cargo.lock ./
RUN cp Cargo.toml Cargo.toml.full \
    && awk '/^\[/ { skip = /^\[\[(test|bench|example)\]\]/ } !skip' Cargo.toml.full > Cargo.toml \
    && mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -r src

# Cargo compares modification times: the checkout may be older than the placeholders built above.
COPY . .
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin psiren \
    && install -D target/release/psiren /rootfs/usr/local/bin/psiren \
    && install -d /rootfs/var/lib/psiren /rootfs/etc/psiren

# glibc, libgcc and CA certificates; no shell, no package manager. Runs as uid 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /rootfs/usr/ /usr/
COPY --from=builder /rootfs/etc/psiren/ /etc/psiren/
COPY --from=builder --chown=65532:65532 /rootfs/var/lib/psiren/ /var/lib/psiren/

# The image's own default, as a number, so that "run as non-root" can be checked.
USER 65532:65532
# State and CSV; the root file system may be read-only.
WORKDIR /var/lib/psiren
VOLUME ["/var/lib/psiren"]
EXPOSE 10774

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/psiren", "health"]
ENTRYPOINT ["/usr/local/bin/psiren"]
CMD ["run", "--config", "/etc/psiren/psiren.toml"]
