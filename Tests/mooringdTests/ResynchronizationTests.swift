// Who may name an owner's bindings, and what becomes of it when a client ends it, is refused something, or goes.

import Bindings
import Forwarding
import Testing
import Wire

@testable import ControlProtocol
@testable import mooringd

@Suite("Resynchronisations of clients") struct ResynchronizationTests {
    private let table: BindingTable

    init() throws {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address("192.0.2.1")
        table = try BindingTable(configuration)
    }

    private func client(_ owner: String = "") -> ControlOrigin {
        let client = ControlOrigin(ControlPeer(processID: 4711, user: 0, group: 0, supplementaryGroups: []))
        client.owner = owner
        return client
    }

    private func put(
        _ ids: [String], from client: ControlOrigin, _ resynchronizations: inout Resynchronizations
    ) throws {
        let bindings = ids.map { Binding(id: $0, careOfAddress: IPv4Address(rawValue: 0xCB00_7109)) }
        let changes = try table.put(
            bindings, by: client.owner, in: resynchronizations.current(of: client), now: 0)
        resynchronizations.count(changes, from: client)
    }

    private func sweep(_ client: ControlOrigin, _ resynchronizations: inout Resynchronizations) -> ControlResynchronized
    {
        while true {
            if case .done(let counts) = resynchronizations.sweep(of: client, table) { return counts }
        }
    }

    private func expect(
        _ code: ControlError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
    ) {
        do {
            try body()
            Issue.record("it was not refused", sourceLocation: sourceLocation)
        } catch {
            #expect((error as? ControlError)?.code == code, sourceLocation: sourceLocation)
        }
    }

    /// Ends it with all named.
    private func end(_ client: ControlOrigin, _ resynchronizations: inout Resynchronizations) throws {
        let counts = try resynchronizations.end(client, abandons: false)
        #expect(counts == nil)
    }

    private func expectGone(
        _ client: ControlOrigin, _ wasNaming: Bool, _ resynchronizations: inout Resynchronizations
    ) {
        let hasGone = resynchronizations.hasGone(client)
        #expect(hasGone == wasNaming)
    }

    private func expectOneSwept(_ client: ControlOrigin, _ resynchronizations: inout Resynchronizations) throws {
        let counts = sweep(client, &resynchronizations)
        #expect(counts.removed == 1)
    }

    private var ids: [String] { Array(table.ids(after: "", limit: .max)) }

    @Test("What a client names stays, what it does not goes, and all is counted")
    func counts() throws {
        var resynchronizations = Resynchronizations()
        let client = client()
        try put(["a", "b", "c"], from: client, &resynchronizations)
        try resynchronizations.begin(client, table)
        try put(["a"], from: client, &resynchronizations)
        try put(["d", "e"], from: client, &resynchronizations)
        try end(client, &resynchronizations)
        let counts = sweep(client, &resynchronizations)
        #expect([counts.kept, counts.replaced, counts.added, counts.removed] == [1, 0, 2, 2])
        #expect(ids == ["a", "d", "e"])
        // It has ended: another may begin, and an end alone is none.
        expect(.badRequest) { _ = try resynchronizations.end(client, abandons: false) }
        try resynchronizations.begin(client, table)
    }

    @Test("A second for the same owner is refused, from whichever connection; other owners' go on beside it")
    func isOneAtATime() throws {
        var resynchronizations = Resynchronizations()
        let (first, second, other) = (client("x"), client("x"), client("y"))
        try put(["x"], from: first, &resynchronizations)
        try put(["y"], from: other, &resynchronizations)
        try resynchronizations.begin(first, table)
        expect(.busy) { try resynchronizations.begin(second, table) }
        expect(.busy) { try resynchronizations.begin(first, table) }
        expect(.badRequest) { _ = try resynchronizations.end(second, abandons: false) }
        try resynchronizations.begin(other, table)
        try end(other, &resynchronizations)
        try expectOneSwept(other, &resynchronizations)
        #expect(ids == ["x"])
        // While it is swept, too.
        try end(first, &resynchronizations)
        expect(.busy) { try resynchronizations.begin(second, table) }
        try expectOneSwept(first, &resynchronizations)
        try resynchronizations.begin(second, table)
    }

    @Test("A connection that ends in the midst of naming removes nothing, and another may begin")
    func isCut() throws {
        var resynchronizations = Resynchronizations()
        let (first, second) = (client(), client())
        try put(["a", "b"], from: first, &resynchronizations)
        try resynchronizations.begin(first, table)
        try put(["a"], from: first, &resynchronizations)
        expectGone(second, false, &resynchronizations)
        expect(.busy) { try resynchronizations.begin(second, table) }
        expectGone(first, true, &resynchronizations)
        #expect(ids == ["a", "b"])
        try resynchronizations.begin(second, table)
        expectGone(first, false, &resynchronizations)
        try put(["b"], from: second, &resynchronizations)
        try end(second, &resynchronizations)
        // What is being swept is carried through.
        expectGone(second, false, &resynchronizations)
        try expectOneSwept(second, &resynchronizations)
        #expect(ids == ["b"])
    }

    @Test("Where a batch was refused, or the client abandons it, nothing goes")
    func isIncomplete() throws {
        var resynchronizations = Resynchronizations()
        let client = client()
        try put(["a", "b"], from: client, &resynchronizations)
        try resynchronizations.begin(client, table)
        resynchronizations.note(ControlError(.badBinding, "the first", binding: "c"), from: client)
        resynchronizations.note(ControlError(.badBinding, "the second", binding: "d"), from: client)
        do {
            _ = try resynchronizations.end(client, abandons: false)
            Issue.record("it ended")
        } catch {
            #expect(error.code == .incomplete)
            #expect(error.binding == "c")
            #expect(error.message.hasSuffix("the first"))
        }
        try resynchronizations.begin(client, table)
        try put(["a"], from: client, &resynchronizations)
        let abandoned = try resynchronizations.end(client, abandons: true)
        let counts = try #require(abandoned)
        #expect([counts.kept, counts.removed] == [1, 0])
        #expect(ids == ["a", "b"])
        try resynchronizations.begin(client, table)
    }
}
