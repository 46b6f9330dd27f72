// Runs the built program against a server in this process.

import ControlTestServer
import Foundation
import TestSupport
import Testing

enum Tool {
    /// The program.
    static let path = Repository.path(of: "mooring")

    /// Runs it to its end, with the socket named by the environment.
    static func run(_ arguments: [String], socket: String = "/nonexistent", input: String = "") async throws -> Program
    {
        try await Program.run([path] + arguments, input: Array(input.utf8), environment: ["MOORING_SOCKET": socket])
    }
}

extension TestServer {
    /// Runs the program, which must end with `status`.
    func tool(
        _ arguments: [String], input: String = "", status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Program {
        let program = try await Tool.run(arguments, socket: path, input: input)
        #expect(
            program.status == status, "\(arguments): \(program.output)\(program.errorOutput)",
            sourceLocation: sourceLocation)
        return program
    }

    /// What the program prints with --json, and nothing beside it.
    func json(
        _ arguments: [String], input: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> JSON {
        let program = try await tool(arguments + ["--json"], input: input, sourceLocation: sourceLocation)
        #expect(program.errorOutput == "", sourceLocation: sourceLocation)
        return try JSON(program.output)
    }
}

/// A JSON text, decoded by Foundation.
struct JSON: Equatable, CustomStringConvertible {
    private let value: NSObject

    init(_ text: String) throws {
        value = try #require(
            JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) as? NSObject)
    }

    private init(_ value: NSObject) { self.value = value }

    var description: String { "\(value)" }

    /// The value of a key, or an element; null where there is none.
    subscript(key: String) -> JSON { JSON((value as? [String: Any])?[key] as? NSObject ?? NSNull()) }
    var elements: [JSON] { (value as? [Any] ?? []).map { JSON($0 as? NSObject ?? NSNull()) } }
    var keys: [String] { (value as? [String: Any] ?? [:]).keys.sorted() }
    var string: String? { value as? String }
    var number: Int? { value as? Int }
}
