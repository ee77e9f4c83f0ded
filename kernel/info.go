package kernel

import "fmt"

func (s *server) kernelInfo(*message) (object, error) {
	info := s.lang.Info()
	links := info.HelpLinks
	if links == nil {
		links = []HelpLink{}
	}
	banner := info.Banner
	if banner == "" {
		banner = fmt.Sprintf("evalnas %s: %s %s", s.cfg.Version, info.Name, info.Version)
	}
	return object{
		"protocol_version":       protocolVersion,
		"implementation":         "evalnas",
		"implementation_version": s.cfg.Version,
		"language_info":          info,
		"banner":                 banner,
		"help_links":             links,
		"debugger":               false,
		"supported_features":     []string{},
	}, nil
}

// connectInfo is deprecated since protocol 5.1, and costs nothing.
func (s *server) connectInfo(*message) (object, error) {
	ports := object{}
	for _, ch := range s.connection.channels() {
		ports[ch.name+"_port"] = *ch.port
	}
	return ports, nil
}

func (s *server) commInfo(*message) (object, error) {
	return object{"comms": object{}}, nil
}
