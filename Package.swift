// swift-tools-version: 6.2
import PackageDescription

// A target may import only what its row names; `MemberImportVisibility` and
// `--explicit-target-dependency-import-check error` hold it. docs/architecture.md says why each row is as it is.

/// Makes `O_PATH`, `unshare`, `CLONE_*` and friends visible in Glibc.
let gnuSource: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-D_GNU_SOURCE"])]

let strict: [SwiftSetting] =
    gnuSource + [
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("ExistentialAny"),
        .treatAllWarnings(as: .error),
        // Large values are copied and destroyed by code of their own. By a description of their types, which is put together at
        // run time, it would take the start of a container 0.4 ms.
        .unsafeFlags(["-Xfrontend", "-disable-type-layout"], .when(configuration: .release)),
    ]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// What the runtime is made of: functions that the linker can order, and leave out, one by one.
let apart: [SwiftSetting] = [.unsafeFlags(["-Xfrontend", "-function-sections"], .when(configuration: .release))]

func module(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil,
    settings: [SwiftSetting] = strict
) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: settings)
}

/// Without what nobody calls, without functions that are the same to the byte, and without the names of everything for
/// whoever might look them up: an eighth of the size.
let lean = [
    "-use-ld=lld", "-Xlinker", "--gc-sections", "-Xlinker", "--icf=all", "-Xlinker", "--no-export-dynamic",
    // Tables for exceptions of C++, which nobody throws; scripts/build-programs takes out the other half.
    "-Xlinker", "--no-eh-frame-hdr",
]

/// What only the runtime can do without: the names of Unicode's characters.
let leaner = [
    "-Xlinker", "--wrap=_swift_stdlib_getScalarName",
    "-Xlinker", "--defsym=__wrap__swift_stdlib_getScalarName=abort",
    // What a container's start needs lies together, so that little else of the program comes into memory with it. Names that
    // are no more do no harm; scripts/order-runtime makes the list anew.
    "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/packaging/skiff-runtime.order",
    "-Xlinker", "--no-warn-symbol-ordering",
]

/// Where the runtime begins: see CEarlyShield.
#if arch(x86_64)
    let entry = ["-Xlinker", "-e", "-Xlinker", "early_shield_start"]
#else
    let entry: [String] = []
#endif

/// Swift's libraries linked statically, the C library dynamically (name resolution needs it).
/// A module compiled for the shared libraries names only the first row; the rest are what those rest on.
/// Others as well where scripts/build-programs has put them there alone: the loader takes 2 ms for C++'s at each start, and
/// 0.1 to 0.2 ms for each of the rest.
let staticSwift =
    ["-static-stdlib", "-Xclang-linker", "-static-libgcc"] + lean + ["-lFoundationEssentials", "-l_FoundationCShims", "-l_FoundationCollections"]
    + ["-L\(Context.packageDirectory)/.build/static-libraries", "-Xlinker", "--as-needed"]
/// The same with all of Foundation, which GRDB needs.
/// The 135,000 places that hold an address take 3 MB as a list and 60 KB as a map of bits.
let staticFoundation =
    staticSwift + ["-lFoundationInternationalization", "-lCoreFoundation", "-l_FoundationICU", "-lstdc++"]
    + ["-Xlinker", "-z", "-Xlinker", "pack-relative-relocs"]

func program(_ name: String, _ dependencies: [Target.Dependency], link: [String], settings: [SwiftSetting] = strict) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])],
        linkerSettings: [.unsafeFlags(link)])
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let package = Package(
    name: "skiff",
    products: [
        .executable(name: "skiff", targets: ["skiff"]),
        .executable(name: "skiffd", targets: ["skiffd"]),
        .executable(name: "skiff-runtime", targets: ["skiff-runtime"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // Level 0
        .target(name: "CLinux"),
        .target(name: "CWithoutBacktrace"),
        .target(name: "CArguments"),
        .target(name: "CEarlyShield", dependencies: ["CLinux"]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CBzip2", providers: [.apt(["libbz2-dev"])]),
        .systemLibrary(name: "CLzma", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
        module("OCI", [], settings: strict + apart),
        // Level 1
        module("Linux", ["CLinux", system], settings: strict + apart),
        module("BuildContext", ["Linux", system]),
        module("DockerAPI", []),
        // Apart from Linux, so that the runtime links neither the concurrency library nor Dispatch.
        module("Blocking", ["Linux", "CLinux", system]),
        // Level 2
        module("Archive", ["Linux", "CBzip2", "CISAL", "CLzma", "CZlib", "CZstd", system]),
        module("Store", ["Blocking", "Linux", "OCI", grdb, crypto, system]),
        module("OCIRuntime", ["Linux", "OCI", "CZlib", system], settings: strict + apart),
        // Level 3
        module("Registry", ["OCI", "Blocking", "Linux", httpClient, nioCore, nioPosix, nioHTTP1, nioSSL, crypto, system, logging]),
        module("Networking", ["Blocking", "Linux", "OCI", "Store", system, logging]),
        // Level 4
        module("Images", ["OCI", "Archive", "Blocking", "Store", "Linux", "Registry", nioCore, crypto, system, logging]),
        // Level 5
        module("Builder", ["BuildContext", "OCI", "Archive", "Images", "Store", "Blocking", "Linux", crypto, system, logging]),
        // Level 6
        module(
            "Engine",
            [
                "DockerAPI", "OCI", "BuildContext", "Blocking", "Linux", "Archive", "Store", "Networking", "Images", "Registry", "Builder",
                nioCore, nioPosix, system, logging,
            ]),
        // Level 7
        module("EngineServer", ["Engine", "Blocking", "DockerAPI", "OCI", "Linux", nioCore, nioPosix, nioHTTP1, nioSSL, crypto, logging]),
        module("EngineClient", ["DockerAPI", "Blocking", "OCI", "Linux", system, nioCore, nioPosix, nioHTTP1, nioSSL]),
        // Programs
        // The commands are a module of their own: a program's link flags would reach its tests.
        .target(
            name: "SkiffCommands",
            dependencies: ["DockerAPI", "EngineClient", "Archive", "Blocking", "BuildContext", "OCI", "Linux", nioCore, crypto, system],
            path: "Sources/skiff", exclude: ["Main.swift"], swiftSettings: strict),
        .executableTarget(
            name: "skiff", dependencies: ["SkiffCommands", "Linux", "CArguments", "CWithoutBacktrace"], path: "Sources/skiff",
            sources: ["Main.swift"],
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])],
            // At a fixed address, as Go's programs are: moving 56,000 pointers would be a quarter of a command's time.
            linkerSettings: [.unsafeFlags(staticSwift + ["-Xclang-linker", "-no-pie"])]),
        program(
            "skiffd",
            [
                "Engine", "EngineServer", "Blocking", "Linux", "Images", "Networking", "Registry", "Store", "OCI", arguments, nioCore,
                nioPosix, logging, system, "CArguments", "CWithoutBacktrace",
            ],
            link: staticFoundation),
        program(
            "skiff-runtime", ["OCIRuntime", "Linux", "OCI", "CArguments", "CWithoutBacktrace", "CEarlyShield", system],
            link: ["-static-executable"] + lean + leaner + entry, settings: strict + apart),
        // Tests
        tests("OCITests", ["OCI"]),
        tests("ArchiveTests", ["Archive", "CBzip2", "CLzma", "Linux", system]),
        tests("StoreTests", ["Blocking", "Store", "Linux", "OCI", system]),
        tests("RegistryTests", ["Registry", "OCI", nioCore, nioPosix, nioHTTP1, system]),
        tests("ImagesTests", ["Images", "OCI"]),
        tests("ImagesRootTests", ["Blocking", "Images", "Archive", "Store", "Linux", "OCI", system]),
        tests("LinuxTests", ["Linux", "OCI", system]),
        tests("SuperviseRootTests", ["Linux", "OCI", system]),
        tests("OCIRuntimeTests", ["OCIRuntime", "OCI", "Linux", system]),
        tests("RuntimeRootTests", ["OCI", "Linux", system]),
        tests("NetworkingTests", ["Networking", "Linux", "Store", logging, system]),
        tests("NetworkingRootTests", ["Blocking", "Networking", "Linux", "Store", logging, system]),
        tests("DockerAPITests", ["DockerAPI"]),
        tests("EngineTests", ["Engine", "EngineServer", "DockerAPI", "OCI", "Linux", nioCore, nioHTTP1, logging, system]),
        tests("SkiffTests", ["SkiffCommands", "EngineClient", "DockerAPI", "OCI", "Archive", nioCore, system]),
        tests("BuilderTests", ["BuildContext", "Builder", "Images", "Store", "OCI", "Archive", "Linux", system]),
        tests("BuilderRootTests", ["Builder", "Images", "Store", "OCI", "Archive", "Linux", system]),
    ]
)
