// Every way in which talking to the kernel about links, addresses, routes and rules can fail, as one error: a reason for
// the program and a sentence for people, which names what was attempted, repeats what the kernel says of it
// (NETLINK_EXT_ACK, linux/netlink.h) and tells what to do.

import CLinuxNet
import Glibc

/// A request to the kernel's routing tables failed.
public struct RouteError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What a caller may want to tell apart.
    public enum Reason: Sendable, Equatable {
        /// The capability CAP_NET_ADMIN is missing (EPERM, EACCES).
        case notPermitted
        /// What was to be added stands already (EEXIST).
        case alreadyExists
        /// What was to be changed or removed is not there (ENOENT, ESRCH, EADDRNOTAVAIL).
        case notFound
        /// There is no such device (ENODEV, ENXIO).
        case noDevice
        /// The device is down (ENETDOWN).
        case deviceDown
        /// The kernel is built or started without what was asked for (EOPNOTSUPP, EAFNOSUPPORT).
        case notSupported
        /// A socket of the wanted port number stands already (EADDRINUSE).
        case portTaken
        /// Another error number of the kernel's.
        case refused(Int32)
        /// The kernel's answer breaks the format; nothing of it was used.
        case malformedAnswer
        /// No answer within the time given.
        case noAnswer
        /// More entries than the bound allows.
        case tooMany
    }

    /// What went wrong.
    public let reason: Reason
    /// What was attempted, what the kernel said, what to do.
    public let description: String

    init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }

    /// A device that is needed is not there.
    public static func missing(device: String) -> RouteError {
        RouteError(.noDevice, "there is no device \(device); does mooringd run?")
    }

    /// An error from the kernel's number.
    /// - Parameters:
    ///   - number: positive, as in errno.h.
    ///   - doing: what was attempted, as "add the route …".
    ///   - kernelText: the kernel's own words, where it gave some.
    init(number: Int32, doing: String, kernelText: String? = nil) {
        let reason: Reason
        let advice: String
        switch number {
        case EPERM, EACCES:
            reason = .notPermitted
            advice =
                "; it needs CAP_NET_ADMIN in this network namespace: start as root, or grant it "
                + "(AmbientCapabilities=CAP_NET_ADMIN in the systemd unit, or setcap cap_net_admin+ep on the program)"
        case EEXIST:
            (reason, advice) = (.alreadyExists, "")
        case ENOENT, ESRCH, EADDRNOTAVAIL:
            (reason, advice) = (.notFound, "")
        case ENODEV, ENXIO:
            (reason, advice) = (.noDevice, "; see `ip link` for the devices there are")
        case ENETDOWN:
            (reason, advice) = (.deviceDown, "; set the device up first: ip link set dev DEVICE up")
        case EOPNOTSUPP, EAFNOSUPPORT:
            (reason, advice) = (.notSupported, "; this kernel was built or started without it")
        case EADDRINUSE:
            (reason, advice) = (.portTaken, "; another process is at it, try again")
        default:
            (reason, advice) = (.refused(number), "")
        }
        let words = kernelText.map { " (\($0))" } ?? ""
        self.init(reason, "can't \(doing): \(String(cString: strerror(number)))\(words)\(advice)")
    }

    /// There is no device of that name.
    public static func noDevice(_ name: String) -> RouteError {
        RouteError(.noDevice, "there is no device \(name); see `ip link` for those there are")
    }

    /// A setting below /proc/sys could not be made.
    public static func setting(_ name: String, to value: String, number: Int32) -> RouteError {
        RouteError(number: number, doing: "set \(name) to \(value)")
    }

    /// An answer that breaks the format.
    static func malformed(_ what: String) -> RouteError {
        RouteError(.malformedAnswer, "the kernel's netlink answer is malformed: \(what)")
    }
}

/// Runs the body, and takes an error of that reason for success.
/// - Returns: whether it did not fail.
@discardableResult
public func tolerating(
    _ reason: RouteError.Reason, _ body: () throws(RouteError) -> Void
) throws(RouteError) -> Bool {
    do throws(RouteError) {
        try body()
        return true
    } catch {
        guard error.reason == reason else { throw error }
        return false
    }
}
