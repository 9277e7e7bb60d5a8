# Skiff. `make demo` and `make test` do all set-up themselves; `make help` tells the rest.

CONFIG   ?= release
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD     = .build/$(CONFIG)
PROGRAMS  = skiff skiffd skiff-runtime

BUILD_PACKAGES = libc6-dev libstdc++-12-dev libsqlite3-dev zlib1g-dev libisal-dev libzstd-dev libbz2-dev liblzma-dev pkg-config binutils
DEMO_PACKAGES  = $(BUILD_PACKAGES) debootstrap curl
TEST_PACKAGES  = $(DEMO_PACKAGES) busybox-static docker-compose groff-base iproute2 iptables nftables python3 python3-venv python3-pip e2fsprogs runc criu strace uidmap \
                 skopeo podman umoci docker-registry openssl apache2-utils
VM_PACKAGES    = qemu-system-x86 cpio debootstrap busybox-static e2fsprogs
CALLER_PACKAGES = docker.io containerd podman conmon
BENCH_PACKAGES = $(TEST_PACKAGES) docker.io runc crun podman iperf3 wrk isal

.PHONY: all help deps programs demo test test-long bench fuzz lint install clean toolchain

all: programs

help:
	@echo 'make          release build of skiff, skiffd and skiff-runtime into bin/'
	@echo 'make demo     bootstrap a base image, build Examples/hello-app, serve it, show it, clean up'
	@echo 'make test     every test: units, the real kernel, the real docker client'
	@echo 'make test-long  the same, with races of a minute each, every failure of a start, and fifty pulls killed'
	@echo 'make bench    start times, images, builds and networks beside those of docker, podman, runc and crun; 1,000 containers'
	@echo 'make fuzz     feed the readers of config.json, netlink, DNS, archives and images with what a fuzzer makes up (TIME=60 seconds)'
	@echo 'make lint     formatting, and whether the documents name files that exist'
	@echo 'make install  programs, systemd units, completions and manual pages (PREFIX, DESTDIR)'

# A missing package is installed when we are root, and named when we are not.
toolchain:
	@command -v swift >/dev/null 2>&1 || { echo 'Swift 6.3 is missing: install it from https://www.swift.org/install/linux/ and put swift on the PATH.' >&2; exit 1; }

deps-%: toolchain
	@scripts/install-packages $($*)

programs: deps-BUILD_PACKAGES
	@scripts/build-programs $(CONFIG) bin

demo: deps-DEMO_PACKAGES
	@scripts/build-programs $(CONFIG) bin
	@scripts/demo bin

test: deps-TEST_PACKAGES deps-CALLER_PACKAGES
	@scripts/install-packages $(VM_PACKAGES) || echo 'The tests in a virtual machine will be skipped.' >&2
	@scripts/test

test-long: deps-TEST_PACKAGES
	@SKIFF_LONG_TESTS=1 scripts/test

bench: deps-BENCH_PACKAGES
	@scripts/build-programs release bin
	@scripts/bench bin
	@scripts/bench-images bin
	@scripts/bench-network bin
	@scripts/bench-builds bin
	@scripts/bench-density bin

# SECONDS of fuzzing for each of the readers: make fuzz TIME=3600
TIME ?= 60
fuzz: toolchain
	@scripts/fuzz $(TIME)

lint: toolchain
	swift format lint --strict --recursive Package.swift Sources Tests
	scripts/check-docs

install: programs
	scripts/install bin "$(DESTDIR)" "$(PREFIX)"

clean:
	rm -rf .build bin
