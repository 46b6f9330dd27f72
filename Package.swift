// swift-tools-version: 6.2
import PackageDescription

// The arrows between modules are the design (docs/architecture.md); Tests/Repository fails on a wrong one.
// A package-wide rule for the hot path: what crosses a module there is `@inlinable`, so no flag is needed for speed.

// Counts bits with one instruction, which every x86-64 processor since 2009 has.
#if arch(x86_64)
    let populationCount: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-mpopcnt"])]
#else
    let populationCount: [SwiftSetting] = []
#endif

// A table is changed by one thread; that no property is read while it is changed, debug builds check.
let uncheckedExclusivity: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let package = Package(
    name: "mooring",
    products: [
        .executable(name: "mooringd", targets: ["mooringd"]),
        .executable(name: "mooring", targets: ["mooring"]),
        .executable(name: "mooring-mn", targets: ["mooring-mn"]),
        .executable(name: "mooring-fa", targets: ["mooring-fa"]),
        .executable(name: "mooring-ha", targets: ["mooring-ha"]),
        .executable(name: "Bench", targets: ["Bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // What Swift can't call.
        .systemLibrary(
            name: "CLiburing", path: "CShims/CLiburing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
        .systemLibrary(name: "CPrefetch", path: "CShims/CPrefetch"),
        .target(name: "CLinuxNet", path: "CShims/CLinuxNet"),
        .target(name: "CBenchmark", path: "CShims/CBenchmark"),

        // The forwarder, from the bytes up.
        .target(name: "Wire"),
        .target(name: "PacketBuffer"),
        .target(
            name: "PrefixTable", dependencies: ["Wire", "CPrefetch"],
            swiftSettings: populationCount + uncheckedExclusivity),
        .target(name: "Bindings", dependencies: ["Wire"]),
        .target(
            name: "Forwarding", dependencies: ["Wire", "PacketBuffer", "PrefixTable", "Bindings", "CPrefetch"],
            swiftSettings: uncheckedExclusivity),
        .target(name: "Checkpoint", dependencies: ["Wire", "Bindings", "Forwarding"]),
        .target(name: "Capture", dependencies: ["PacketBuffer"]),
        .target(name: "Replay", dependencies: ["Wire", "PacketBuffer", "Bindings", "Forwarding", "Capture"]),
        .target(name: "IOUring", dependencies: ["CLiburing"]),
        .target(name: "RouteNetlink", dependencies: ["Wire", "CLinuxNet"]),
        .target(name: "PacketIO", dependencies: ["PacketBuffer", "Wire", "IOUring", "RouteNetlink", "CLinuxNet"]),

        // The control plane.
        .target(name: "Succession", dependencies: ["CLinuxNet"]),
        .target(name: "ServiceProcess", dependencies: ["CLinuxNet"]),
        .target(name: "Release"),
        .target(
            name: "ControlProtocol",
            dependencies: [
                "Wire", "Bindings", "Release",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: ["control.proto"]),
        .target(
            name: "ConfigurationFile", dependencies: ["Bindings", .product(name: "TOMLKit", package: "TOMLKit")]),
        .target(
            name: "MobileIP",
            dependencies: ["Wire", "PrefixTable", .product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "OperatorProtocol"),
        .target(
            name: "HomeAgent",
            dependencies: [
                "Wire", "Bindings", "RouteNetlink", "ControlProtocol", "ConfigurationFile", "MobileIP",
                "OperatorProtocol",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),

        .target(
            name: "MobileNode",
            dependencies: [
                "Wire", "Bindings", "RouteNetlink", "ControlProtocol", "ServiceProcess", "ConfigurationFile",
                "MobileIP", "CLinuxNet",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),

        // The programs.
        .executableTarget(
            name: "mooringd",
            dependencies: [
                "Wire", "PacketBuffer", "PrefixTable", "Bindings", "Forwarding", "Checkpoint", "RouteNetlink",
                "PacketIO", "ControlProtocol", "Succession", "ServiceProcess", "Release",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .executableTarget(
            name: "mooring",
            dependencies: [
                "Wire", "Bindings", "ControlProtocol", "ConfigurationFile", "OperatorProtocol", "Replay", "Release",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "mooring-mn",
            dependencies: [
                "Wire", "Bindings", "ServiceProcess", "MobileNode", "Release",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(
            name: "mooring-fa",
            dependencies: [
                "Wire", "RouteNetlink", "PacketIO", "ConfigurationFile", "MobileIP", "CLinuxNet", "Release",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "mooring-ha",
            dependencies: [
                "Bindings", "ServiceProcess", "HomeAgent", "Release",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "Wire", "PacketBuffer", "PrefixTable", "Bindings", "Forwarding", "Checkpoint", "ControlProtocol",
                "MobileIP", "HomeAgent", "CBenchmark", "Release",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            path: "Benchmarks/Bench"),
        .executableTarget(name: "yardstick", dependencies: ["CLiburing"], path: "Benchmarks/Yardstick"),

        .target(name: "TestSupport", path: "Tests/TestSupport"),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "Wire", "PacketBuffer", "Bindings", "Forwarding", "Capture", "MobileIP", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Fuzz", exclude: ["Corpus"]),
        .testTarget(
            name: "FuzzTests",
            dependencies: ["Fuzz", "Wire", "PacketBuffer", "Forwarding", "MobileIP", "TestSupport"],
            path: "Tests/FuzzTests"),
        .testTarget(name: "WireTests", dependencies: ["Wire", "TestSupport"]),
        .testTarget(name: "PacketBufferTests", dependencies: ["PacketBuffer"]),
        .testTarget(name: "PrefixTableTests", dependencies: ["PrefixTable", "Wire", "TestSupport"]),
        .testTarget(name: "BindingsTests", dependencies: ["Bindings", "Wire", "TestSupport"]),
        .testTarget(
            name: "ForwardingTests",
            dependencies: ["Forwarding", "Wire", "PacketBuffer", "PrefixTable", "Bindings", "TestSupport"]),
        .testTarget(
            name: "CheckpointTests", dependencies: ["Checkpoint", "Forwarding", "Bindings", "Wire", "TestSupport"]),
        .testTarget(
            name: "SuccessionTests", dependencies: ["Succession", "CLinuxNet", "TestSupport"]),
        .testTarget(name: "ServiceProcessTests", dependencies: ["ServiceProcess"]),
        .testTarget(name: "CaptureTests", dependencies: ["Capture", "PacketBuffer", "TestSupport"]),
        // Runs the program, so it is built before.
        .testTarget(
            name: "ReplayTests",
            dependencies: ["Replay", "Capture", "Bindings", "Forwarding", "PacketBuffer", "mooring", "TestSupport"]),
        .target(name: "NetworkNamespace", path: "Tests/NetworkNamespace"),
        .target(name: "TestThread", path: "Tests/TestThread"),
        .testTarget(name: "IOUringTests", dependencies: ["IOUring", "CLiburing", "TestThread"]),
        .testTarget(
            name: "RouteNetlinkTests", dependencies: ["RouteNetlink", "Wire", "CLinuxNet", "NetworkNamespace"]),
        .testTarget(
            name: "PacketIOTests",
            dependencies: [
                "PacketIO", "PacketBuffer", "IOUring", "RouteNetlink", "Wire", "NetworkNamespace", "TestThread",
                "TestSupport",
            ]),
        .target(
            name: "ControlTestServer",
            dependencies: [
                "ControlProtocol", "Bindings", "Wire", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/ControlTestServer"),
        .testTarget(
            name: "ControlProtocolTests",
            dependencies: [
                "ControlProtocol", "ControlTestServer", "Bindings", "Wire", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .testTarget(
            name: "ConfigurationFileTests", dependencies: ["ConfigurationFile", "Bindings", "TestSupport"]),
        .testTarget(
            name: "MobileIPTests",
            dependencies: ["MobileIP", "Wire", "TestSupport", .product(name: "Crypto", package: "swift-crypto")]),
        .testTarget(
            name: "MobileNodeTests",
            dependencies: [
                "MobileNode", "MobileIP", "ControlProtocol", "Bindings", "RouteNetlink", "Wire", "NetworkNamespace",
                "TestSupport", "mooring-mn",
            ]),
        .testTarget(
            name: "HomeAgentTests",
            dependencies: [
                "HomeAgent", "MobileIP", "Wire", "Bindings", "ControlProtocol", "ControlTestServer",
                "NetworkNamespace", "OperatorProtocol", "RouteNetlink", "TestSupport", "mooring",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        // Runs the program, so it is built before.
        .testTarget(
            name: "mooringTests",
            dependencies: ["mooring", "ControlProtocol", "ControlTestServer", "TestSupport"]),
        .testTarget(
            name: "mooringdTests",
            dependencies: [
                "mooringd", "Wire", "PacketBuffer", "Bindings", "Forwarding", "RouteNetlink", "PacketIO",
                "ControlProtocol", "NetworkNamespace", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .testTarget(
            name: "Repository",
            dependencies: [
                "mooringd", "mooring", "mooring-ha", "mooring-mn", "mooring-fa", "HomeAgent", "TestSupport",
            ],
            path: "Tests/Repository"),
        // Runs the programs, so they are built before.
        .testTarget(
            name: "EndToEnd",
            dependencies: [
                "mooringd", "mooring", "mooring-ha", "mooring-mn", "mooring-fa", "ControlProtocol", "Checkpoint",
                "Bindings", "Wire",
                "TestSupport",
            ],
            path: "Tests/EndToEnd",
            exclude: [
                "control_plane.py", "delegation.py", "between.py", "flows.py", "foreign_agent.py", "home_agent.py",
                "numbered.py", "protocol41.py", "registrant.py", "transfer.py", "wire.py", "home_network.py",
                "burst.py", "control_socket.py", "datagrams.py", "reverse_tunnel.py", "forget_connections.py",
                "hostile.py",
            ]),
    ],
    swiftLanguageModes: [.v6]
)
