// `Bench tun`: the real thing. A correspondent, a home agent, a node, devices, the kernel between them, and other
// forwarders beside mooringd. All take turns within each round, so that a machine whose speed drifts is the same for
// all; what is printed are medians.

import ArgumentParser

struct Tun: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gbit/s, packets a second and latency through real TUN devices, beside other forwarders.",
        discussion: """
            Needs iperf3, iproute2, ethtool for UDP, and root or
            `unshare -rnm sh -c 'ip link set lo up; mount -t tmpfs tmpfs /run; …'`.
            Peers whose programs are not there are left out and named; that within the kernel needs root itself.

            Examples:
              swift run Bench tun
              swift run Bench tun --no-peers --far mooringd --work download --yardstick --rounds 9
              swift run Bench tun --io plain --offload push --seconds 10 --json
              swift run Bench tun --no-peers --workers 1 --workers 2
              swift run Bench tun --tunnel all --work download --work upload --plot tunnels.svg
              swift run Bench tun --peer tc-program --peer wireguard-go
            """)

    @Option(help: "io_uring or plain; both in turn where absent.") var io: TunSubject.IO?
    @Option(
        help: ArgumentHelp(
            "What mooringd does with super-frames: off, split, push or whole; all take turns where absent.",
            discussion: "whole is push, and takes those that come in tunnels whole."))
    var offload: [TunSubject.Offload] = []
    @Option(help: "Forwarding threads of mooringd; several numbers take turns.") var workers: [Int] = [1]
    @Option(
        help: ArgumentHelp(
            "What is done; may be given several times, all where absent.",
            discussion: "download, upload and both are TCP; udp-18, udp-512 and udp-1400 are UDP to a sink, and "
                + "udp-18-segments the first sent as super-frames; latency is that of packets to the sink at half the "
                + "rate of udp-18."))
    var work: [TunWork] = []
    @Option(
        help: ArgumentHelp(
            "The node's end of mooringd's tunnel for TCP: mooringd, or kernel, which takes little; both where absent."))
    var far: [TunSubject.End] = []
    @Option(
        help: ArgumentHelp(
            "Kinds of tunnel: ip-in-ip, gre, minimal, udp, or all of them; where absent ip-in-ip.",
            discussion: "And then udp too, for TCP between two mooringd with --offload split: the best that there is "
                + "without a program in the kernel."))
    var tunnel: [String] = []
    @Option(help: "Beside whom: kernel-forwarding, tc-program, wireguard-go, tayga; all where absent.")
    var peer: [TunPeer] = []
    @Flag(inversion: .prefixedNo, help: "Measure others beside mooringd.") var peers = true
    @Flag(help: "Measure the least that a forwarder can do in turn with mooringd (Benchmarks/Yardstick).")
    var yardstick = false
    @Option(help: "Rounds; medians are printed.") var rounds = 5
    @Option(help: "Seconds of each measurement.") var seconds = 5
    @Option(help: ArgumentHelp("Draw the figures.", valueName: "file.svg")) var plot: String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...100).contains(rounds), (1...600).contains(seconds) else {
            throw ValidationError("--rounds is 1 to 100, --seconds 1 to 600")
        }
        guard workers.allSatisfy((1...16).contains) else { throw ValidationError("--workers is 1 to 16") }
        guard far.allSatisfy({ $0 == .mooringd || $0 == .kernel }) else {
            throw ValidationError("--far is mooringd or kernel")
        }
        _ = try tunnels
    }

    private var tunnels: [TunSubject.Tunnel] {
        get throws {
            if tunnel.isEmpty { return [.ipInIP] }
            return try tunnel.flatMap { name in
                if name == "all" { return TunSubject.Tunnel.allCases }
                guard let kind = TunSubject.Tunnel(rawValue: name) else {
                    throw ValidationError("--tunnel is ip-in-ip, gre, minimal, udp or all")
                }
                return [kind]
            }.withoutRepetition
        }
    }

    /// In the order in which it is done: the latency needs to know the rate of small packets.
    private var works: [TunWork] {
        TunWork.allCases.filter { work.isEmpty || work.contains($0) || ($0 == .udp18 && work.contains(.latency)) }
    }

    func run() throws {
        try OptimisedBuild.build(["mooringd", "mooring"] + (yardstick ? ["yardstick"] : []))
        let network = try Network()
        defer { network.remove() }
        let present = presentPeers()
        let wantsProgram = present.contains(.tcProgram) || (far.isEmpty || far.contains(.kernel))
        var program: KernelProgram?
        if wantsProgram {
            do { program = try KernelProgram(network) } catch let error as TunUnavailable {
                TunProgress.say("without tc-program and --far kernel: \(error)")
            }
        }
        let ends = (far.isEmpty ? [.mooringd, .kernel] : far.withoutRepetition).filter {
            $0 != .kernel || program != nil
        }
        let peers = present.filter { $0 != .tcProgram || program != nil }
        let results = try measure(network, try subjects(peers, ends), program)
        if output.json {
            for line in TunLine.all(of: results) { print(try line.line()) }
            for ratio in TunRatio.all(of: results) { print(try ratio.line()) }
        } else {
            print(TunReport(results: results).text)
        }
        if let plot { try TunReport(results: results).plot.write(to: plot) }
    }

    private func measure(_ network: Network, _ all: [TunSubject], _ program: KernelProgram?) throws -> TunResults {
        var results = TunResults(all, self.works, rounds: rounds)
        func works(of subject: TunSubject) -> [TunWork] { self.works.filter(subject.can) }
        func duration(_ subject: TunSubject) -> Double { TunTrial.duration(works(of: subject), seconds: seconds) }
        var left = all.filter { !works(of: $0).isEmpty }
        var progress = TunProgress(expected: left.reduce(0) { $0 + duration($1) } * Double(rounds))
        for round in 1...rounds {
            for subject in left {
                progress.begin("round \(round) of \(rounds), \(subject.name), far end \(subject.end.rawValue)")
                do {
                    let figures = try TunTrial(network, subject, seconds: seconds).run(works(of: subject), program)
                    results.add(figures, of: subject, round: round)
                } catch let error as TunUnavailable {
                    TunProgress.say("without \(subject.name), far end \(subject.end.rawValue): \(error)")
                    left.removeAll { $0 == subject }
                    progress.drop(expected: duration(subject) * Double(rounds - round))
                } catch let error as BenchError {
                    TunProgress.say("\(subject.name), far end \(subject.end.rawValue), round \(round): \(error)")
                }
                progress.end(expected: duration(subject))
            }
        }
        return results
    }

    // MARK: Who takes turns

    private func presentPeers() -> [TunPeer] {
        guard peers else { return [] }
        return (peer.isEmpty ? TunPeer.allCases : peer.withoutRepetition).filter { peer in
            // Of that it is told where it is compiled, which the far end needs too.
            guard peer != .tcProgram, let absence = peer.absence else { return true }
            TunProgress.say("without \(peer.rawValue): \(absence)")
            return false
        }
    }

    private func subjects(_ peers: [TunPeer], _ ends: [TunSubject.End]) throws -> [TunSubject] {
        let others = peers.map(TunSubject.Forwarder.peer)
        var subjects = others.flatMap { other in [.own, .sink].map { TunSubject(forwarder: other, end: $0) } }
        for io in io.map({ [$0] }) ?? TunSubject.IO.allCases {
            if yardstick {
                subjects += [.own, .sink].map { TunSubject(forwarder: .yardstick(io), end: $0) }
            }
            for offload in offload.isEmpty ? TunSubject.Offload.allCases : offload.withoutRepetition {
                for workers in workers.withoutRepetition {
                    let way = TunSubject.Way(io: io, offload: offload, workers: workers)
                    for tunnel in try tunnels {
                        // The program for the kernel makes no other tunnel.
                        subjects += (ends.filter { $0 != .kernel || tunnel == .ipInIP } + [.sink]).map {
                            TunSubject(forwarder: .mooringd(way), end: $0, tunnel: tunnel)
                        }
                    }
                    if tunnel.isEmpty, offload == .split, ends.contains(.mooringd) {
                        subjects.append(TunSubject(forwarder: .mooringd(way), end: .mooringd, tunnel: .udp))
                    }
                }
            }
        }
        return subjects
    }
}

extension Array where Element: Hashable {
    /// Each where it stands first.
    var withoutRepetition: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
