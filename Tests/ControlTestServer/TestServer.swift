import ControlProtocol
import Foundation
import Logging
import NIOCore
import NIOPosix
import TestSupport

/// A server with a fake handler on a socket in a directory of its own.
package struct TestServer: Sendable {
    package let directory: String
    package let path: String
    package let server: ControlServer
    package let handler: NIOLoopBound<FakeHandler>
    package let eventLoop: any EventLoop

    /// Runs the body beside a server, then closes it and removes its directory.
    package static func run(
        _ change: (inout ControlServer.Configuration) -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with { directory in
            var configuration = ControlServer.Configuration(path: directory + "/control.sock")
            // How long a busy machine takes to say hello is no matter of these tests.
            configuration.helloTimeout = .hours(1)
            change(&configuration)
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let server = try await start(configuration, group.next(), directory)
            do {
                try await body(server)
            } catch {
                await server.server.close()
                try? await group.shutdownGracefully()
                throw error
            }
            await server.server.close()
            try await group.shutdownGracefully()
        }
    }

    private static func start(
        _ configuration: ControlServer.Configuration, _ eventLoop: any EventLoop, _ directory: String
    ) async throws -> TestServer {
        let made = eventLoop.makePromise(of: NIOLoopBound<FakeHandler>.self)
        let server: ControlServer
        do {
            server = try await ControlServer.start(configuration, on: eventLoop, logger: quietLogger) { publisher in
                let handler = FakeHandler(publisher)
                made.succeed(NIOLoopBound(handler, eventLoop: eventLoop))
                return handler
            }
        } catch {
            made.fail(error)
            throw error
        }
        return TestServer(
            directory: directory, path: configuration.path, server: server, handler: try await made.futureResult.get(),
            eventLoop: eventLoop)
    }

    /// Runs the body where the handler lives.
    @discardableResult
    package func onLoop<Value: Sendable>(_ body: @escaping @Sendable (FakeHandler) -> Value) async throws -> Value {
        try await eventLoop.submit { [handler] in body(handler.value) }.get()
    }

    package static let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// A system call failed.
package struct SystemError: Error, CustomStringConvertible {
    package let description: String

    package init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}

/// Asks again and again until the answer is yes, 20,000 times.
///
/// Turns are counted and not time: where hundreds of tests wait for the same few threads, each turn comes later, and so
/// does what is waited for. Without company it gives up after 100 seconds.
package func eventually(_ isTrue: () async throws -> Bool) async throws -> Bool {
    for _ in 0..<20_000 {
        if try await isTrue() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}
