// What the command line amounts to.

import MobileIP
import Wire

/// The settings of the program.
struct ForeignAgentSettings {
    var visited: String
    /// Nil for the first of the device.
    var address: IPv4Address?
    var careOfAddresses: [IPv4Address]
    var device: String
    var table: UInt32
    var flags: AgentAdvertisement.Flags
    var requiresReverseTunnel: Bool
    var lifetime: RegistrationLifetime
    /// Nil for advertisements to who asks alone.
    var advertisementInterval: Int?
    var maximumVisitors: Int
    var associations: AssociationFile

    /// - Parameter addresses: of the host, that of the visited link first.
    func configuration(addresses: [IPv4Address]) -> ForeignAgentConfiguration {
        var configuration = ForeignAgentConfiguration(addresses: addresses, careOfAddresses: careOfAddresses)
        configuration.flags = flags
        configuration.requiresReverseTunnel = requiresReverseTunnel
        configuration.maximumLifetime = lifetime
        configuration.advertisementInterval = advertisementInterval
        configuration.limits.visitors = maximumVisitors
        configuration.nodes = associations.nodes
        configuration.homeAgents = associations.homeAgents
        return configuration
    }
}
