/// Versions of the control protocol (docs/control-protocol.md).
public enum ControlVersion {
    /// The latest that this release speaks. A connection uses the lower of its two ends' latest.
    public static let current: UInt32 = 1
}
