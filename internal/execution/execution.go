// Package execution runs service cases. Its main type is Room.
package execution
