// What a thread may do beyond its user (capabilities(7)). The kernel keeps these sets for each thread, and a thread
// begins with those of the one that started it. So they are dropped while there is one thread, or each does it itself.

import CLinuxNet
import Glibc

/// A set of capabilities.
public struct Capabilities: OptionSet, Sendable, CustomStringConvertible {
    /// Bit n is capability n of capabilities(7).
    public let rawValue: UInt64

    /// The capabilities whose bits are set.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// CAP_NET_ADMIN: routes, addresses, rules, links and sysctls of the network namespace, TUN devices.
    public static let networkAdministration = Capabilities(rawValue: 1 << 12)
    /// CAP_SETPCAP, without which the bounding set stays what it is.
    private static let capabilitySets = Capabilities(rawValue: 1 << 8)
    /// How many bits there are.
    private static let count = 64

    /// What the calling thread has.
    /// - Throws: where the kernel does not tell.
    public static func ofThread() throws(CapabilitiesError) -> Capabilities {
        var (effective, permitted, inheritable): (UInt64, UInt64, UInt64) = (0, 0, 0)
        try check(clinuxnet_capabilities(&effective, &permitted, &inheritable), "capget(2)")
        return Capabilities(rawValue: permitted)
    }

    /// Leaves the calling thread those of these capabilities that it has, and no way to others: its other sets are emptied,
    /// and no program that it executes gets any. Threads that it starts later are as it is, others stay as they are.
    ///
    /// Without CAP_SETPCAP the bounding set is left alone. It only bounds what a program that is executed may get, which is
    /// nothing by then.
    /// - Returns: what the thread has now.
    /// - Throws: where anything could not be given up.
    @discardableResult
    public static func keep(only wanted: Capabilities) throws(CapabilitiesError) -> Capabilities {
        let before = try ofThread()
        let kept = before.intersection(wanted)
        if before.contains(capabilitySets) {
            // It may be one that is not in effect.
            try check(clinuxnet_set_capabilities(before.rawValue, before.rawValue, 0), "capset(2)")
            for number in 0..<count where clinuxnet_is_in_bounding_set(Int32(number)) == 1 {
                try check(clinuxnet_drop_from_bounding_set(Int32(number)), "prctl(PR_CAPBSET_DROP)")
            }
        }
        try check(clinuxnet_clear_ambient_set(), "prctl(PR_CAP_AMBIENT)")
        try check(clinuxnet_set_capabilities(kept.rawValue, kept.rawValue, 0), "capset(2)")
        try check(clinuxnet_set_no_new_privileges(), "prctl(PR_SET_NO_NEW_PRIVS)")
        let after = try ofThread()
        guard after == kept else { throw CapabilitiesError(call: "capset(2)", number: EPERM) }
        return after
    }

    private static func check(_ result: Int32, _ call: String) throws(CapabilitiesError) {
        if result < 0 { throw CapabilitiesError(call: call, number: -result) }
    }

    /// Their names, or "none".
    public var description: String {
        let names = (0..<Self.count).filter { contains(Self(rawValue: 1 << UInt64($0))) }.map { number in
            number == 12 ? "CAP_NET_ADMIN" : "capability \(number)"
        }
        return names.isEmpty ? "none" : names.joined(separator: " ")
    }
}

/// Capabilities could not be given up.
public struct CapabilitiesError: Error, CustomStringConvertible {
    /// Which call failed.
    public let call: String
    /// As errno has it.
    public let number: Int32

    /// Says what to do.
    public var description: String {
        "capabilities can't be given up, \(call): \(String(cString: strerror(number))); does a filter of system calls "
            + "(SystemCallFilter= of the service, seccomp of the container) forbid it?"
    }
}
