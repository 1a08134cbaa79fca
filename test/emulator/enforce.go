package emulator

import (
	"errors"

	"skr/test/emulator/utilityvm"
)

// enforce starts the group's containers under its policy. The variables that remain are those
// that [Machine.ContainerEnvironment] returns.
func (m *Machine) enforce() error {
	if len(m.config.Containers) == 0 {
		return nil
	}
	vm, err := utilityvm.New([]byte(m.config.Policy))
	if err != nil {
		return err
	}
	var unloaded []error // no reason to fail, if the containers are admitted without
	for _, signed := range m.config.Fragments {
		if err := vm.LoadFragment(signed); err != nil {
			unloaded = append(unloaded, err)
		}
	}
	for _, container := range m.config.Containers {
		kept, err := vm.CreateContainer(container)
		if err != nil {
			return errors.Join(append([]error{err}, unloaded...)...)
		}
		m.kept = append(m.kept, kept)
	}
	return nil
}

// ContainerEnvironment returns the variables that the utility VM gave to a container, by its
// number in MachineConfig.Containers.
func (m *Machine) ContainerEnvironment(number int) []string { return m.kept[number] }
