import PacketIO
import Testing
import Wire

@testable import mooringd

@Suite("Routes of endpoints that bindings name")
struct EndpointRoutesTests {
    private static let second: UInt64 = 1_000_000_000
    private static let first = IPv4Address("192.0.2.1")!
    private static let other = IPv4Address("192.0.2.2")!

    /// A host that refuses what it is told to.
    private struct Host {
        var routes = EndpointRoutes()
        var now: UInt64 = 100 * EndpointRoutesTests.second
        var refused: Set<IPv4Address> = []
        var present: Set<IPv4Address> = []
        var attempts = 0

        mutating func follow(_ wanted: Set<IPv4Address>) -> Int {
            var (present, attempts) = (present, attempts)
            let refused = refused
            let problems = routes.follow(
                wanted, at: now,
                add: { endpoint throws(SetupError) in
                    attempts += 1
                    if refused.contains(endpoint) { throw SetupError("no") }
                    present.insert(endpoint)
                },
                remove: { endpoint throws(SetupError) in
                    attempts += 1
                    if refused.contains(endpoint) { throw SetupError("no") }
                    present.remove(endpoint)
                })
            (self.present, self.attempts) = (present, attempts)
            return problems.count
        }
    }

    @Test("endpoints that are named are routed, and taken back when they are not")
    func follow() {
        var host = Host()
        #expect(host.follow([Self.first, Self.other]) == 0 && host.present == [Self.first, Self.other])
        #expect(host.follow([Self.first, Self.other]) == 0 && host.attempts == 2)
        #expect(host.follow([Self.other]) == 0 && host.present == [Self.other])
        #expect(!host.routes.isRetryDue(at: .max))
    }

    @Test("what fails is tried again after 1, 2, 4 seconds and so on, a minute at the most, and not with each change")
    func backoff() {
        var host = Host()
        host.refused = [Self.first]
        #expect(host.follow([Self.first]) == 1)
        // Another one comes meanwhile: it is routed at once.
        #expect(host.follow([Self.first, Self.other]) == 0 && host.present == [Self.other] && host.attempts == 2)
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] as [UInt64] {
            #expect(!host.routes.isRetryDue(at: host.now + wait * Self.second - 1))
            #expect(host.routes.isRetryDue(at: host.now + wait * Self.second))
            host.now += wait * Self.second
            #expect(host.follow([Self.first, Self.other]) == 1)
        }
        host.refused = []
        host.now += 60 * Self.second
        #expect(host.follow([Self.first, Self.other]) == 0 && host.present == [Self.first, Self.other])
        #expect(!host.routes.isRetryDue(at: .max))
        // The next failure begins anew.
        host.refused = [Self.first]
        #expect(host.follow([Self.other]) == 1)
        #expect(host.routes.isRetryDue(at: host.now + Self.second))
    }

    @Test("what could not be taken back is tried again too, unless it is named again")
    func leftOver() {
        var host = Host()
        _ = host.follow([Self.first])
        host.refused = [Self.first]
        #expect(host.follow([]) == 1 && host.present == [Self.first])
        host.refused = []
        host.now += Self.second
        #expect(host.follow([]) == 0 && host.present == [])
        _ = host.follow([Self.first])
        host.refused = [Self.first]
        #expect(host.follow([]) == 1)
        host.refused = []
        host.now += Self.second
        // It is made again, since it may be half gone.
        let attempts = host.attempts
        #expect(host.follow([Self.first]) == 0 && host.present == [Self.first] && host.attempts == attempts + 1)
        #expect(!host.routes.isRetryDue(at: .max))
    }

    @Test("what failed and is named no more is not tried again")
    func forgotten() {
        var host = Host()
        host.refused = [Self.first]
        #expect(host.follow([Self.first]) == 1)
        #expect(host.follow([]) == 0 && host.attempts == 1)
        #expect(!host.routes.isRetryDue(at: .max))
    }
}
