// The messages that others are made of: those of Tests/Vectors, which scapy and Python have made.

import Foundation
import TestSupport

/// Seeds by what reads them.
struct MessageSeeds {
    /// To and from UDP port 434.
    let datagrams: [[UInt8]]
    /// Of ICMP, from the type on.
    let discovery: [[UInt8]]
    /// Of multicast listeners, from the IPv6 header on.
    let listeners: [[UInt8]]

    /// A seed beyond it costs much and shows little more, in bytes.
    private static let lengthLimit = 2000

    /// Those of the repository.
    /// - Throws: where a file can't be read, or has none.
    static func load() throws(FuzzError) -> MessageSeeds {
        let mobileIP = try read("mobileip")
        let registrations = mobileIP.filter { $0.key != "advertisements" && $0.key != "malformedAdvertisements" }
        let discovery = mobileIP.filter { !registrations.keys.contains($0.key) || $0.key.hasPrefix("solicitation") }
        var datagrams = packets(in: registrations.filter { !$0.key.hasPrefix("solicitation") })
        for name in ["homeagent", "foreignagent"] { datagrams.formUnion(packets(in: try read(name))) }
        return MessageSeeds(
            datagrams: try sorted(datagrams), discovery: try sorted(packets(in: discovery)),
            listeners: try sorted(packets(in: try read("listeners"))))
    }

    private static func read(_ name: String) throws(FuzzError) -> [String: Any] {
        let path = Repository.root.appendingPathComponent("Tests/Vectors/\(name).json").path
        guard let data = FileManager.default.contents(atPath: path),
            let json = try? JSONSerialization.jsonObject(with: data)
        else { throw FuzzError("\(path): can't be read") }
        return json as? [String: Any] ?? ["": json]
    }

    /// Every message of a file, whatever its shape: hexadecimal digits under one of these names.
    private static func packets(in json: Any) -> Set<[UInt8]> {
        var found: Set<[UInt8]> = []
        if let list = json as? [Any] { for element in list { found.formUnion(packets(in: element)) } }
        let names = ["bytes", "request", "reply", "relayed", "answer", "solicitation", "solicitationReserved"]
        for (name, value) in json as? [String: Any] ?? [:] {
            if name == "extensions" { continue }
            if let text = value as? String {
                if names.contains(name) { found.insert(Hex(text).bytes) }
            } else {
                found.formUnion(packets(in: value))
            }
        }
        return found
    }

    /// In an order that is the same in every run.
    private static func sorted(_ seeds: Set<[UInt8]>) throws(FuzzError) -> [[UInt8]] {
        let usable = seeds.filter { $0.count <= lengthLimit }
        guard !usable.isEmpty else { throw FuzzError("no seed was found") }
        return usable.sorted { $0.count == $1.count ? $0.lexicographicallyPrecedes($1) : $0.count < $1.count }
    }
}
