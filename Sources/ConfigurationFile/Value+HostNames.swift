// Names of what a host has, as configurations give them. What the kernel would refuse is refused when the file is read.

import Bindings

extension StrictJSON.Value {
    /// The longest name of a network device, in bytes: IFNAMSIZ without the zero at its end.
    private static var maximumDeviceName: Int { 15 }
    /// The longest path of a Unix socket, in bytes: `sun_path` without the zero at its end (unix(7)).
    private static var maximumSocketPath: Int { 107 }

    /// The name of a network device.
    public func deviceName() throws(StrictJSON.Failure) -> String {
        let name = try string()
        guard (1...Self.maximumDeviceName).contains(name.utf8.count),
            name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }),
            name != ".", name != ".."
        else {
            throw failure(
                "is no device name: 1 to \(Self.maximumDeviceName) ASCII characters without spaces, slashes and colons")
        }
        return name
    }

    /// The path of a Unix socket.
    /// - Parameter resolve: makes the path that is used of the one that stands there.
    public func socketPath(
        _ resolve: (String) -> String = { $0 }
    ) throws(StrictJSON.Failure) -> String {
        let text = try string()
        guard !text.isEmpty, !text.utf8.contains(0) else { throw failure("is no path of a socket") }
        let path = resolve(text)
        guard path.utf8.count <= Self.maximumSocketPath else {
            throw failure(
                "\(path) has \(path.utf8.count) bytes, where the path of a socket has \(Self.maximumSocketPath) at the "
                    + "most: take a shorter one")
        }
        return path
    }
}
