package main

import (
	"fmt"
	"time"
)

// A meter takes time and CPU over a window, at both of its ends.
type meter struct {
	pids  map[string]int // by role
	began time.Time
	cpu   map[string]float64 // seconds, when it began
}

func startMeter(pids map[string]int) (*meter, error) {
	m := &meter{pids: pids}
	var err error
	if m.cpu, err = m.read(); err != nil {
		return nil, err
	}
	m.began = time.Now()
	return m, nil
}

// stop puts the length and the CPU of the window into a sample.
func (m *meter) stop(s *sample) error {
	s.Seconds = time.Since(m.began).Seconds()
	cpu, err := m.read()
	if err != nil {
		return err
	}
	for role := range cpu {
		cpu[role] -= m.cpu[role]
	}
	s.CPU = cpu
	return nil
}

func (m *meter) read() (map[string]float64, error) {
	cpu := make(map[string]float64, len(m.pids))
	for role, pid := range m.pids {
		seconds, err := cpuSeconds(pid)
		if err != nil {
			return nil, fmt.Errorf("CPU of the %s: %w", role, err)
		}
		cpu[role] = seconds
	}
	return cpu, nil
}
